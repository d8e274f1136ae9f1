import type { Content, Envelope, VirtualSystem } from './envelope.ts';

/** What a HostResource names: `ovf:/disk/id`, `ovf:/file/id`, also without `ovf:` and with two slashes. */
export function parseHostResource(text: string): { readonly kind: 'disk' | 'file'; readonly id: string } | undefined {
  const match = /^(?:ovf:)?\/{0,2}(disk|file)\/(.+)$/.exec(text);
  return match === null ? undefined : { kind: match[1] as 'disk' | 'file', id: match[2]! };
}

/** Every content of an envelope, each before what it contains. */
export function* contentsOf(content: Content): Generator<Content> {
  yield content;
  if (content.kind === 'VirtualSystemCollection') for (const child of content.contents) yield* contentsOf(child);
}

/** The virtual systems of an envelope, in document order, also those in nested collections. */
export function virtualSystems(envelope: Envelope): VirtualSystem[] {
  return [...contentsOf(envelope.content)].filter((content) => content.kind === 'VirtualSystem');
}
