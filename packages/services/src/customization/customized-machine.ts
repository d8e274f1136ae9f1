/** A network adapter of the machine; the address is known once it has one. */
export interface CustomizedAdapter {
  readonly mac: string;
}

export interface CustomizedMachine {
  /** The machine's name. */
  readonly name: string;
  readonly adapters: readonly CustomizedAdapter[];
}
