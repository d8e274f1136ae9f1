import type { HypervisorInfo } from '@hypostyle/contracts';

/** What `/healthz` tells anybody: nothing that helps an attacker. */
export interface Health {
  readonly ok: boolean;
  readonly version: string;
  /** Seconds since the server started. */
  readonly uptime: number;
  readonly machines: { readonly registered: number; readonly running: number };
  readonly accelerator: 'kvm' | 'tcg';
  /** Why not KVM, in a sentence. */
  readonly acceleratorReason?: string;
}

export function healthOf(facts: {
  readonly version: string;
  readonly startedAt: number;
  readonly machines: Health['machines'];
  readonly hypervisor: HypervisorInfo;
}): Health {
  const { version, startedAt, machines, hypervisor } = facts;
  const { accelerator, acceleratorReason } = hypervisor;
  return {
    ok: true,
    version,
    uptime: Math.floor((Date.now() - startedAt) / 1000),
    machines,
    accelerator,
    ...(acceleratorReason === undefined ? {} : { acceleratorReason }),
  };
}
