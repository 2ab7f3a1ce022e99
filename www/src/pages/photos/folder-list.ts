import { html } from "lit";
import { Part } from "../../element.ts";
import { count } from "../../parts/words.ts";
import { collection } from "../../state/library/collection.ts";
import { folders } from "../../state/library/folders.ts";
import { adding } from "./adding.ts";

/** The folders of the collection. An event `look` asks for a look into one: `(event as CustomEvent<FolderRecord>).detail`. */
class FolderList extends Part {
  /** The folder whose removal is asked about. */
  #removing: string | undefined;

  constructor() {
    super();
    this.watch(collection);
  }

  protected override render() {
    const counts = new Map<string, number>();
    for (const { folder } of collection.pictures.values()) counts.set(folder, (counts.get(folder) ?? 0) + 1);
    return html`<div class="sheet folders">
      <ul>
        ${collection.folders.map((folder) => {
          const photos = count(counts.get(folder.name) ?? 0, "photo");
          return html`<li class="row">
            <span class="grow"><b>${folder.name}</b> <span class="small">${photos}</span></span>
            ${
              this.#removing === folder.name
                ? html`<button type="button" class="primary" @click=${() => this.#remove(folder.name)}>
                      Remove ${photos} from Ocelli
                    </button>
                    <button type="button" @click=${() => this.#about(undefined)}>Keep</button>`
                : html`<button
                      type="button"
                      aria-label=${folder.handle ? `Look for changes in ${folder.name}` : `Choose again: ${folder.name}`}
                      @click=${() => this.dispatchEvent(new CustomEvent("look", { detail: folder }))}
                    >
                      ${folder.handle ? "Look for changes" : "Choose again"}
                    </button>
                    <button
                      type="button"
                      class="quiet"
                      aria-label=${`Remove ${folder.name}`}
                      @click=${() => this.#about(folder.name)}
                    >
                      Remove
                    </button>`
            }
          </li>`;
        })}
      </ul>
      <p class="small">Removing a folder only removes it from Ocelli. Your files stay where they are.</p>
    </div>`;
  }

  #remove(name: string): void {
    this.#about(undefined);
    adding.ask(() => folders.remove(name));
  }

  #about(name: string | undefined): void {
    this.#removing = name;
    this.requestUpdate();
  }
}

customElements.define("ocelli-folder-list", FolderList);
