import { randomBytes } from 'node:crypto';
import { fault, type VirtualMachineTicket } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** A console that a ticket opens, once. */
export interface Console {
  readonly kind: 'vnc' | 'serial';
  /** Unix socket of the engine. */
  readonly socketPath: string;
  readonly machineName: string;
}

const lifetime = 60_000;
const most = 1_000;

/** Tickets for consoles: good once, for a minute. `webmks` is the screen as RFB, `serial` is the first serial port. */
export class ConsoleTickets {
  readonly #core: HostCore;
  readonly #tickets = new Map<string, { readonly console: Console; readonly until: number }>();
  readonly #sslThumbprint: () => string;

  constructor(core: HostCore, sslThumbprint: () => string) {
    this.#core = core;
    this.#sslThumbprint = sslThumbprint;
  }

  acquire(machine: MachineRecord, type: string): VirtualMachineTicket {
    const engine = this.#core.machines.engine(machine.id);
    if (engine === undefined || machine.powerState !== 'poweredOn') {
      throw fault(
        'InvalidPowerState',
        { requestedState: 'poweredOn', existingState: machine.powerState },
        'The machine is not powered on.',
      );
    }
    const kind = type === 'webmks' ? 'vnc' : type === 'serial' ? 'serial' : undefined;
    if (kind === undefined)
      throw fault(
        'NotSupported',
        {},
        `Tickets of type '${type.slice(0, 40)}' are not given here; ask for webmks or serial.`,
      );
    const socketPath = kind === 'vnc' ? engine.vncSocketPath : engine.serialSocketPaths[0];
    if (socketPath === undefined)
      throw fault(
        'NotSupported',
        {},
        `${machine.configuration.name} has no serial port; add one while it is powered off.`,
      );
    const ticket = randomBytes(16).toString('hex');
    this.#sweep();
    this.#tickets.set(ticket, {
      console: { kind, socketPath, machineName: machine.configuration.name },
      until: Date.now() + lifetime,
    });
    return {
      _typeName: 'VirtualMachineTicket',
      ticket,
      cfgFile: machine.datastore.format(machine.vmxPath),
      sslThumbprint: this.#sslThumbprint(),
      url: `wss://*/ticket/${ticket}`,
    };
  }

  /** The console of a ticket, which is used up by it. */
  redeem(ticket: string): Console | undefined {
    const found = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    return found !== undefined && found.until > Date.now() ? found.console : undefined;
  }

  #sweep(): void {
    const now = Date.now();
    for (const [ticket, { until }] of this.#tickets) {
      if (until > now && this.#tickets.size < most) break;
      this.#tickets.delete(ticket);
    }
  }
}
