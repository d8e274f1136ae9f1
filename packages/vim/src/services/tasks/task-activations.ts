/** Numbers of the tasks of the history, by the token that whoever started them gave. */
export class TaskActivations {
  readonly #numbers = new Map<string, Set<number>>();
  readonly #tokens = new Map<number, string>();

  add(activationId: string, number: number): void {
    let numbers = this.#numbers.get(activationId);
    if (numbers === undefined) {
      numbers = new Set();
      this.#numbers.set(activationId, numbers);
    }
    numbers.add(number);
    this.#tokens.set(number, activationId);
  }

  /** In rising order. */
  numbers(activationIds: readonly string[]): number[] {
    const found = new Set(activationIds.flatMap((id) => [...(this.#numbers.get(id) ?? [])]));
    return [...found].sort((a, b) => a - b);
  }

  delete(number: number): void {
    const activationId = this.#tokens.get(number);
    const numbers = activationId === undefined ? undefined : this.#numbers.get(activationId);
    if (activationId === undefined || numbers === undefined) return;
    this.#tokens.delete(number);
    numbers.delete(number);
    if (numbers.size === 0) this.#numbers.delete(activationId);
  }

  /** Forgets tasks below `number`, but for those named. */
  trim(number: number, keep: ReadonlySet<number>): void {
    for (const known of [...this.#tokens.keys()]) if (known < number && !keep.has(known)) this.delete(known);
  }
}
