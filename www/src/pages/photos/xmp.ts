/**
 * A sidecar: tags of a photo as digiKam, Lightroom, immich and others read them, beside the photo's file. XMP, ISO 16684-1; keywords are
 * the bag `dc:subject`.
 */
export function xmp(tags: readonly string[]): string {
  const items = tags.map((tag) => `     <rdf:li>${escaped(tag)}</rdf:li>\n`).join("");
  return `<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject>
    <rdf:Bag>
${items}    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
`;
}

/** The sidecar's name: with the photo's whole name before it, since IMG_1.jpg and IMG_1.heic may be neighbours. */
export function sidecarOf(path: string): string {
  return `${path}.xmp`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
