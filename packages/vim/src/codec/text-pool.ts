/** Longer texts are seldom told twice. */
const longestShared = 64;
const mostShared = 4_096;

/**
 * Texts cut out of what was received keep all of that in memory for as long as one of them is there. From here each
 * comes as a copy of its own, and short ones that are told again as the very same.
 */
export class TextPool {
  readonly #shared = new Map<string, string>();

  own(text: string): string {
    if (text.length > longestShared) return copied(text);
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    // What comes often is soon there again.
    if (this.#shared.size >= mostShared) this.#shared.clear();
    const own = copied(text);
    this.#shared.set(own, own);
    return own;
  }
}

function copied(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
