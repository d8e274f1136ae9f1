import type { Store } from '../store.ts';

/** What a driver's module exports for the conformance suite. */
export interface StoreDriver {
  open(folder: string): Promise<Store>;
}

export async function importStoreDriver(driver: URL): Promise<StoreDriver> {
  const module: unknown = await import(driver.href);
  if (typeof module === 'object' && module !== null && 'open' in module && typeof module.open === 'function') {
    return module as StoreDriver;
  }
  throw new Error(`${driver.href} exports no function "open"`);
}
