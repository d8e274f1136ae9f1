/** A memory image of the fake engine: whose memory it is, and what is in it. */
export function fakeMemoryImage({ uuid }: { readonly uuid: string }, memory: string): string {
  return `${uuid} ${memory}`;
}

/** What an image has; one that a test wrote by hand is of nobody. */
export function readFakeMemoryImage(text: string): { readonly uuid?: string; readonly memory: string } {
  const [, uuid, memory] = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) (.*)$/s.exec(text) ?? [];
  return uuid === undefined || memory === undefined ? { memory: text } : { uuid, memory };
}
