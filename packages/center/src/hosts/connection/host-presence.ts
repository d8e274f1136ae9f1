import type { Draft, EventRequest } from '@hypostyle/vim';
import type { CenterBase } from '../../center-base.ts';
import { type MachineDocument, referenceOf } from '../../inventory/entity-document.ts';
import { connectFailureEvent, isLasting } from './connect-failure.ts';
import { type ConnectionState, hostOverlay } from './connection-overlay.ts';
import type { HostLink } from './host-link.ts';

const hostEvents = {
  connected: 'HostConnectedEvent',
  notResponding: 'HostConnectionLostEvent',
  disconnected: 'HostDisconnectedEvent',
} as const;

/** What the line to a host says of it: shown, with the events that tell of a change. */
export async function showState(
  core: CenterBase,
  link: HostLink,
  state: 'connected' | 'notResponding',
  why: unknown,
): Promise<void> {
  const document = core.inventory.find(link.host);
  if (document?.type !== 'HostSystem') return;
  if (state === 'notResponding') tellTrouble(core, link, why);
  if (link.mirror.shown === state) {
    // It is shown anew all the same where the host's own words came in between, whole or broken off.
    if (state === 'connected' || link.mirror.wasTold) await link.mirror.setState(state);
    return;
  }
  if (why !== undefined) core.onLog(`the host '${document.name}' does not respond`, why);
  await changeState(core, link, state, (draft, event) => core.events.post(draft, event));
}

/** Shows another state of a host and its machines, with the events that tell of it. */
export async function changeState(
  core: CenterBase,
  link: HostLink,
  state: ConnectionState,
  post: (draft: Draft, event: EventRequest) => void,
): Promise<void> {
  const document = core.inventory.find(link.host);
  if (document?.type !== 'HostSystem') return;
  const before = link.mirror.shown;
  await link.mirror.setState(state, {
    host: (draft) => {
      post(draft, { type: hostEvents[state], entity: referenceOf(document) });
      if (state === 'connected') link.trouble = undefined;
    },
    machine: (draft, machine) => {
      // Machines of a host that is new were never away.
      if (state === 'connected' && before !== undefined) post(draft, machineEvent('VmConnectedEvent', machine));
      if (state !== 'connected' && before === 'connected') post(draft, machineEvent('VmDisconnectedEvent', machine));
    },
  });
}

/** The same for a host that no line leads to. */
export function changeStateUnfollowed(
  core: CenterBase,
  host: string,
  state: 'disconnected',
  post: (draft: Draft, event: EventRequest) => void,
): void {
  const document = core.inventory.find(host);
  if (document?.type !== 'HostSystem') return;
  const ref = { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: host } as const;
  core.registry.commit((draft) => {
    draft.set(
      ref,
      hostOverlay({ runtime: draft.get(ref, 'runtime'), summary: draft.get(ref, 'summary') }, document, state),
    );
    post(draft, { type: hostEvents[state], entity: ref });
  });
}

function machineEvent(type: 'VmConnectedEvent' | 'VmDisconnectedEvent', machine: MachineDocument): EventRequest {
  return { type, entity: referenceOf(machine), members: { template: false } };
}

/** A reason that will not pass by itself is told once. */
function tellTrouble(core: CenterBase, link: HostLink, why: unknown): void {
  const document = core.inventory.find(link.host);
  if (document?.type !== 'HostSystem' || !isLasting(why)) return;
  const event = connectFailureEvent(why, document.name);
  const trouble = `${event.type} ${event.message ?? ''}`;
  if (link.trouble === trouble) return;
  link.trouble = trouble;
  core.events.post(undefined, { ...event, entity: referenceOf(document) });
}
