/** What this package uses of WebAssembly (W3C, JavaScript Interface); the libraries of the compiler have it for browsers only. */
declare namespace WebAssembly {
  class Module {
    private constructor();
  }
  class CompileError extends Error {}
  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    readonly buffer: SharedArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, Memory>>>>);
    readonly exports: unknown;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
}
