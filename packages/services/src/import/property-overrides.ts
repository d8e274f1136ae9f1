import type { Content, Envelope, PropertyOverride } from '@hypostyle/ovf';
import type { KeyValue } from '@hypostyle/vim';

/**
 * The values that a client gives properties: by `KEY` all of that key, by `ID/KEY` that of the content with the id, such as
 * one copy of what scales out.
 */
export function propertyOverrides({ content }: Envelope, mapping: readonly KeyValue[]): PropertyOverride[] {
  const ids = new Set(idsOf(content));
  return mapping.map(({ key, value }) => {
    const mark = key.indexOf('/');
    const entityId = key.slice(0, Math.max(0, mark));
    return ids.has(entityId) ? { key: key.slice(mark + 1), entityId, value } : { key, value };
  });
}

function idsOf(content: Content): string[] {
  return [content.id, ...(content.kind === 'VirtualSystem' ? [] : content.contents.flatMap(idsOf))];
}
