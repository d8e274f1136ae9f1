import type {
  HostListSummary,
  HostRuntimeInfo,
  HostSystemConnectionState,
  VirtualMachineRuntimeInfo,
  VirtualMachineSummary,
} from '@hypostyle/vim';
import { type HostDocument, referenceOf } from '../../inventory/entity-document.ts';

export type ConnectionState = HostSystemConnectionState;

/** What a host shows with the center's word on its connection, name and reference laid over its own. */
export function hostOverlay(
  values: { readonly runtime?: unknown; readonly summary?: unknown },
  document: HostDocument,
  state: ConnectionState,
): { runtime?: HostRuntimeInfo; summary?: HostListSummary } {
  const runtime = values.runtime as HostRuntimeInfo | undefined;
  const summary = values.summary as HostListSummary | undefined;
  const shown = (runtime: HostRuntimeInfo): HostRuntimeInfo => ({ ...runtime, connectionState: state });
  return {
    ...(runtime === undefined ? {} : { runtime: shown(runtime) }),
    ...(summary === undefined
      ? {}
      : {
          summary: {
            ...summary,
            host: referenceOf(document),
            ...(summary.runtime === undefined ? {} : { runtime: shown(summary.runtime) }),
            config: { ...summary.config, name: document.name },
          },
        }),
  };
}

/** What a machine shows while its host cannot be asked. */
export function machineOverlay(
  values: { readonly runtime?: unknown; readonly summary?: unknown },
  state: ConnectionState,
): { runtime?: VirtualMachineRuntimeInfo; summary?: VirtualMachineSummary } {
  if (state === 'connected') return {};
  const runtime = values.runtime as VirtualMachineRuntimeInfo | undefined;
  const summary = values.summary as VirtualMachineSummary | undefined;
  const shown = (runtime: VirtualMachineRuntimeInfo) => ({ ...runtime, connectionState: 'disconnected' as const });
  return {
    ...(runtime === undefined ? {} : { runtime: shown(runtime) }),
    ...(summary === undefined ? {} : { summary: { ...summary, runtime: shown(summary.runtime) } }),
  };
}
