import { TimeSlice } from '@hypostyle/vim';

/** Lists from this many elements on are written in slices. */
const longList = 200;

/** The value as JSON; a long list element by element, so that nobody waits for the whole of it. */
export async function writeJson(value: unknown): Promise<string> {
  if (!Array.isArray(value) || value.length < longList) return JSON.stringify(value);
  const parts: string[] = [];
  const slice = new TimeSlice();
  for (const element of value) {
    parts.push(JSON.stringify(element));
    if (slice.isOver()) await slice.rest();
  }
  return `[${parts.join(',')}]`;
}
