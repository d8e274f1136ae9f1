import type { GuestInfo } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { read } from '../calls/center-view.ts';
import { AutomationError } from '../errors.ts';
import { guestOsOf } from '../machine/guest-os.ts';
import { Machine } from '../machine/machine-reader.ts';
import { closed, constantCase, defined, oneOf } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

const families = {
  windowsGuest: 'WINDOWS',
  linuxGuest: 'LINUX',
  netwareGuest: 'NETWARE',
  solarisGuest: 'SOLARIS',
  darwinGuestFamily: 'DARWIN',
} as const;
const states = {
  running: 'RUNNING',
  shuttingDown: 'SHUTTING_DOWN',
  resetting: 'RESETTING',
  standby: 'STANDBY',
  notRunning: 'NOT_RUNNING',
} as const;
const text = Type.Optional(Type.String());
const strings = Type.Array(Type.String());
const upgradePolicies = oneOf('MANUAL', 'UPGRADE_AT_POWER_CYCLE');

const powerActions = (
  [
    ['shutdown', 'ShutdownGuest', 'Asks the guest to shut down.'],
    ['reboot', 'RebootGuest', 'Asks the guest to reboot.'],
    ['standby', 'StandbyGuest', 'Asks the guest to stand by.'],
  ] as const
).map(([action, method, summary]) =>
  operation({
    id: `vcenter.vm.guest.power.${action}`,
    summary,
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/power',
    action,
    rest: { wrap: null },
    async run({ view, path }) {
      await view.invoke('VirtualMachine', new Machine(view, path.vm).object.ref, method, {});
    },
  }),
);

/** What the tools in a guest tell, and what they are asked. */
export const guestOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.guest.identity.get',
    summary: 'What the guest says of itself.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/identity',
    rest: {},
    answer: Type.Object({
      name: Type.String(),
      family: oneOf('WINDOWS', 'LINUX', 'NETWARE', 'SOLARIS', 'DARWIN', 'OTHER'),
      full_name: Type.Object({ id: Type.String(), default_message: Type.String(), args: strings }),
      host_name: Type.String(),
      ip_address: text,
    }),
    run({ view, path }) {
      const machine = new Machine(view, path.vm);
      const guest = runningGuest(read('VirtualMachine', machine.object, 'guest'));
      const fullName = guest.guestFullName ?? '';
      return defined({
        name: guestOsOf(guest.guestId ?? machine.config.guestId),
        family: families[guest.guestFamily as keyof typeof families] ?? ('OTHER' as const),
        full_name: { id: 'vmsg.guestos.name', default_message: fullName, args: [] },
        host_name: guest.hostName ?? '',
        ip_address: guest.ipAddress,
      });
    },
  }),
  operation({
    id: 'vcenter.vm.guest.power.get',
    summary: 'Whether the guest runs, and takes requests.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/power',
    rest: {},
    answer: Type.Object({
      state: oneOf('RUNNING', 'SHUTTING_DOWN', 'RESETTING', 'STANDBY', 'NOT_RUNNING', 'UNAVAILABLE'),
      operations_ready: Type.Boolean(),
    }),
    run({ view, path }) {
      const guest = read('VirtualMachine', new Machine(view, path.vm).object, 'guest');
      return {
        state: states[guest?.guestState as keyof typeof states] ?? ('UNAVAILABLE' as const),
        operations_ready: guest?.guestStateChangeSupported ?? guest?.guestOperationsReady ?? false,
      };
    },
  }),
  ...powerActions,
  operation({
    id: 'vcenter.vm.guest.networking.get',
    summary: 'Names and name servers of the guest.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/networking',
    rest: {},
    answer: Type.Object({
      dns_values: Type.Optional(Type.Object({ domain_name: Type.String(), host_name: Type.String() })),
      dns: Type.Optional(Type.Object({ ip_addresses: strings, search_domains: strings })),
    }),
    run({ view, path }) {
      const guest = runningGuest(read('VirtualMachine', new Machine(view, path.vm).object, 'guest'));
      const dns = guest.ipStack?.[0]?.dnsConfig;
      return dns === undefined
        ? {}
        : {
            dns_values: { domain_name: dns.domainName, host_name: dns.hostName },
            dns: { ip_addresses: [...(dns.ipAddress ?? [])], search_domains: [...(dns.searchDomain ?? [])] },
          };
    },
  }),
  operation({
    id: 'vcenter.vm.guest.networking.interfaces.list',
    summary: 'Network interfaces of the guest, with their addresses.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/networking/interfaces',
    rest: {},
    answer: Type.Array(
      Type.Object({
        mac_address: text,
        nic: text,
        ip: Type.Optional(
          Type.Object({
            ip_addresses: Type.Array(
              Type.Object({
                ip_address: Type.String(),
                prefix_length: Type.Integer(),
                state: oneOf('PREFERRED', 'DEPRECATED', 'INVALID', 'INACCESSIBLE', 'UNKNOWN', 'TENTATIVE', 'DUPLICATE'),
                origin: text,
              }),
            ),
          }),
        ),
      }),
    ),
    run({ view, path }) {
      const guest = runningGuest(read('VirtualMachine', new Machine(view, path.vm).object, 'guest'));
      return (guest.net ?? []).map((net) =>
        defined({
          mac_address: net.macAddress,
          // Interfaces that are of no card of the machine have -1.
          nic: net.deviceConfigId < 0 ? undefined : String(net.deviceConfigId),
          ip: {
            ip_addresses: (net.ipConfig?.ipAddress ?? []).map((address) =>
              defined({
                ip_address: address.ipAddress,
                prefix_length: address.prefixLength,
                state: (address.state ?? 'preferred').toUpperCase() as 'PREFERRED',
                origin: address.origin?.toUpperCase(),
              }),
            ),
          },
        }),
      );
    },
  }),
  operation({
    id: 'vcenter.vm.guest.networking.routes.list',
    summary: 'Routes of the guest.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/networking/routes',
    rest: {},
    answer: Type.Array(
      Type.Object({
        network: Type.String(),
        prefix_length: Type.Integer(),
        gateway_address: text,
        interface_index: Type.Optional(Type.Integer()),
      }),
    ),
    run({ view, path }) {
      const guest = runningGuest(read('VirtualMachine', new Machine(view, path.vm).object, 'guest'));
      const routes = (guest.ipStack ?? []).flatMap(({ ipRouteConfig }) => ipRouteConfig?.ipRoute ?? []);
      return routes.map(({ network, prefixLength, gateway }) => {
        const index = Number(gateway.device ?? -1);
        return defined({
          network,
          prefix_length: prefixLength,
          gateway_address: gateway.ipAddress,
          interface_index: Number.isInteger(index) && index >= 0 ? index : undefined,
        });
      });
    },
  }),
  operation({
    id: 'vcenter.vm.guest.operations.get',
    summary: 'Whether programs and files of the guest can be used.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/operations',
    rest: {},
    answer: Type.Object({
      guest_operations_ready: Type.Boolean(),
      interactive_guest_operations_ready: Type.Boolean(),
    }),
    run({ view, path }) {
      const guest = read('VirtualMachine', new Machine(view, path.vm).object, 'guest');
      return {
        guest_operations_ready: guest?.guestOperationsReady ?? false,
        interactive_guest_operations_ready: guest?.interactiveGuestOperationsReady ?? false,
      };
    },
  }),
  operation({
    id: 'vcenter.vm.guest.local-filesystem.get',
    summary: 'File systems of the guest, by where they are mounted.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/guest/local-filesystem',
    rest: {},
    answer: Type.Record(
      Type.String(),
      Type.Object({ capacity: Type.Integer(), free_space: Type.Integer(), filesystem: text }),
    ),
    run({ view, path }) {
      const guest = runningGuest(read('VirtualMachine', new Machine(view, path.vm).object, 'guest'));
      return Object.fromEntries(
        (guest.disk ?? []).map((disk) => [
          disk.diskPath ?? '',
          defined({
            capacity: Number(disk.capacity ?? 0),
            free_space: Number(disk.freeSpace ?? 0),
            filesystem: disk.filesystemType,
          }),
        ]),
      );
    },
  }),
  operation({
    id: 'vcenter.vm.tools.get',
    summary: 'The tools in the guest.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/tools',
    rest: {},
    answer: Type.Object({
      auto_update_supported: Type.Boolean(),
      install_attempt_count: Type.Optional(Type.Integer()),
      install_type: text,
      run_state: oneOf('NOT_RUNNING', 'RUNNING', 'EXECUTING_SCRIPTS'),
      upgrade_policy: upgradePolicies,
      version: text,
      version_number: Type.Optional(Type.Integer()),
      version_status: text,
    }),
    run({ view, path }) {
      const machine = new Machine(view, path.vm);
      const guest = read('VirtualMachine', machine.object, 'guest');
      const tools = machine.config.tools;
      const running = constantCase((guest?.toolsRunningStatus ?? 'guestToolsNotRunning').replace(/^guestTools/, ''));
      const status = guest?.toolsVersionStatus2?.replace(/^guestTools/, '');
      const version = tools?.toolsVersion;
      return defined({
        auto_update_supported: false,
        install_attempt_count: tools?.lastInstallInfo?.counter,
        install_type: installType(guest?.toolsInstallType ?? tools?.toolsInstallType),
        run_state: running as 'RUNNING',
        upgrade_policy:
          tools?.toolsUpgradePolicy === 'upgradeAtPowerCycle'
            ? ('UPGRADE_AT_POWER_CYCLE' as const)
            : ('MANUAL' as const),
        version: guest?.toolsVersion ?? (version === undefined ? undefined : String(version)),
        version_number: version,
        version_status: status === undefined ? undefined : constantCase(status),
      });
    },
  }),
  operation({
    id: 'vcenter.vm.tools.update',
    summary: 'Changes when the tools are upgraded.',
    method: 'PATCH',
    path: '/vcenter/vm/{vm}/tools',
    rest: {},
    body: closed({ upgrade_policy: Type.Optional(upgradePolicies) }),
    async run({ view, path, body }) {
      const machine = new Machine(view, path.vm);
      if (body.upgrade_policy === undefined) return;
      const policy = body.upgrade_policy === 'MANUAL' ? 'manual' : 'upgradeAtPowerCycle';
      await machine.reconfigure({ tools: { _typeName: 'ToolsConfigInfo', toolsUpgradePolicy: policy } });
    },
  }),
  operation({
    id: 'vcenter.vm.tools.upgrade',
    summary: 'Upgrades the tools in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/tools',
    action: 'upgrade',
    rest: { wrap: null },
    body: closed({ command_line_options: Type.Optional(Type.String({ maxLength: 4_096 })) }),
    bodyOptional: true,
    async run({ view, path, body }) {
      const { ref } = new Machine(view, path.vm).object;
      await view.run(
        'VirtualMachine',
        ref,
        'UpgradeTools_Task',
        defined({ installerOptions: body?.command_line_options }),
      );
    },
  }),
  operation({
    id: 'vcenter.vm.tools.installer.get',
    summary: 'Whether the disc with the tools is in a drive of the machine.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/tools/installer',
    rest: {},
    answer: Type.Object({ is_connected: Type.Boolean() }),
    run({ view, path }) {
      const runtime = read('VirtualMachine', new Machine(view, path.vm).object, 'runtime');
      return { is_connected: runtime?.toolsInstallerMounted ?? false };
    },
  }),
  ...(
    [
      ['connect', 'MountToolsInstaller', 'Puts the disc with the tools into a drive of the machine.'],
      ['disconnect', 'UnmountToolsInstaller', 'Takes the disc with the tools out of its drive.'],
    ] as const
  ).map(([action, method, summary]) =>
    operation({
      id: `vcenter.vm.tools.installer.${action}`,
      summary,
      method: 'POST',
      path: '/vcenter/vm/{vm}/tools/installer',
      action,
      rest: { wrap: null },
      async run({ view, path }) {
        await view.invoke('VirtualMachine', new Machine(view, path.vm).object.ref, method, {});
      },
    }),
  ),
];

/** Fails with `service_unavailable` where no tools run that could tell anything. */
function runningGuest(guest: GuestInfo | undefined): GuestInfo {
  if (guest !== undefined && guest.toolsRunningStatus === 'guestToolsRunning') return guest;
  throw new AutomationError('service_unavailable', 'VMware Tools is not running in the guest.', {
    id: 'com.vmware.api.vcenter.vm.guest.information_not_available',
  });
}

function installType(type: string | undefined): string | undefined {
  return type?.startsWith('guestToolsType') ? constantCase(type.slice('guestToolsType'.length)) : undefined;
}
