import type { ManagedObjectReference, TaskInfo } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import type { Daemon } from './host-fixture.ts';

/** The account that centers act by. */
const center = 'vpxuser';

/** Calls a host as its center does: it has taken the host in. */
export class CenterCalls {
  readonly daemon: Daemon;

  private constructor(daemon: Daemon) {
    this.daemon = daemon;
  }

  static async of(daemon: Daemon): Promise<CenterCalls> {
    const known = daemon.host.registry.read(references.extensionManager, 'extensionList') ?? [];
    if (known.length === 0)
      await daemon.call(references.extensionManager, 'RegisterExtension', {
        extension: {
          _typeName: 'Extension',
          key: 'center',
          type: 'VirtualCenter',
          version: '1.0.0',
          description: { label: 'Center', summary: 'Center' },
          server: [
            {
              url: 'https://192.0.2.7/sdk',
              description: { label: '', summary: '' },
              company: '',
              type: 'SOAP',
              adminEmail: [],
            },
          ],
          lastHeartbeatTime: '2026-01-01T00:00:00Z',
        },
      });
    return new CenterCalls(daemon);
  }

  begin(self: ManagedObjectReference, method: string, args: object): Promise<ManagedObjectReference<'Task'>> {
    return this.daemon.call(self, method, args as Record<string, unknown>, center) as Promise<
      ManagedObjectReference<'Task'>
    >;
  }

  /** Begins a task, and waits for its end; throws the task's fault. */
  async task(self: ManagedObjectReference, method: string, args: object): Promise<unknown> {
    return this.daemon.outcome(await this.begin(self, method, args));
  }

  finished(task: ManagedObjectReference<'Task'>): Promise<TaskInfo> {
    return this.daemon.finished(task);
  }
}
