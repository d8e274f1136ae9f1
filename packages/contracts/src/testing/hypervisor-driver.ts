import type { Hypervisor } from '../hypervisor.ts';

/** What a driver's module exports for the conformance suite. */
export interface HypervisorDriver {
  /** A hypervisor that keeps its own caches in `folder`. */
  open(folder: string): Hypervisor | Promise<Hypervisor>;
}

export async function importHypervisorDriver(driver: URL): Promise<HypervisorDriver> {
  const module: unknown = await import(driver.href);
  if (typeof module === 'object' && module !== null && 'open' in module && typeof module.open === 'function') {
    return module as HypervisorDriver;
  }
  throw new Error(`${driver.href} exports no function "open"`);
}
