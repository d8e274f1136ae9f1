import type { ManagedObjectClass, MethodTable } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { Route } from '../hosts/connection/host-links.ts';

/** EnvironmentBrowser of a compute resource: the host that is asked about answers, or any that is connected. */
export function environmentBrowserClass(
  core: CenterCore,
  forwarding: Forwarding,
): ManagedObjectClass<'EnvironmentBrowser'> {
  const ofHost = (host: { readonly value: string } | undefined): Route | undefined => {
    if (host === undefined) return undefined;
    const link = core.hosts.connected(core.inventory.get('HostSystem', host).value);
    const ref = link.layout.environmentBrowser;
    return ref === undefined ? undefined : { link, ref };
  };
  const own: MethodTable<'EnvironmentBrowser'> = {
    QueryConfigOption: (call, args) => forwarding.call(call, args, ofHost(args.host)) as never,
    QueryConfigOptionEx: (call, args) => forwarding.call(call, args, ofHost(args.spec?.host)) as never,
    QueryConfigTarget: (call, args) => forwarding.call(call, args, ofHost(args.host)) as never,
    QueryTargetCapabilities: (call, args) => forwarding.call(call, args, ofHost(args.host)) as never,
  };
  return { type: 'EnvironmentBrowser', methods: forwarding.methods('EnvironmentBrowser', forwarding.passing(own)) };
}
