import { type Static, Type } from '@sinclair/typebox';
import { closed, name, oneOf } from '../schemas/common.ts';

const text = Type.String({ maxLength: 1024 });
const longText = Type.String({ maxLength: 262_144 });
const optionalText = Type.Optional(text);
const addresses = Type.Optional(Type.Array(text, { maxItems: 64 }));

const hostnameGenerator = closed({
  type: oneOf('FIXED', 'PREFIX', 'VIRTUAL_MACHINE', 'USER_INPUT_REQUIRED'),
  fixed_name: optionalText,
  prefix: optionalText,
});

const windowsSysprep = closed({
  gui_run_once_commands: Type.Optional(Type.Array(Type.String({ maxLength: 4_096 }), { maxItems: 64 })),
  user_data: closed({
    computer_name: hostnameGenerator,
    full_name: text,
    organization: text,
    product_key: text,
  }),
  domain: Type.Optional(
    closed({
      type: oneOf('WORKGROUP', 'DOMAIN'),
      workgroup: optionalText,
      domain: optionalText,
      domain_username: optionalText,
      domain_password: optionalText,
      domain_OU: optionalText,
      domain_ou: optionalText,
    }),
  ),
  gui_unattended: closed({
    auto_logon: Type.Boolean(),
    auto_logon_count: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
    password: optionalText,
    time_zone: Type.Integer({ minimum: 0, maximum: 1_000 }),
  }),
});

const configurationSpec = closed({
  windows_config: Type.Optional(
    closed({
      reboot: Type.Optional(oneOf('REBOOT', 'NO_REBOOT', 'SHUTDOWN')),
      sysprep: Type.Optional(windowsSysprep),
      sysprep_xml: Type.Optional(longText),
    }),
  ),
  linux_config: Type.Optional(
    closed({
      hostname: hostnameGenerator,
      domain: text,
      time_zone: optionalText,
      script_text: Type.Optional(longText),
      compatible_customization_method: optionalText,
    }),
  ),
  cloud_config: Type.Optional(
    closed({
      type: oneOf('CLOUDINIT'),
      cloudinit: Type.Optional(closed({ metadata: longText, userdata: Type.Optional(longText) })),
    }),
  ),
});

const addressKinds = oneOf('DHCP', 'STATIC', 'USER_INPUT_REQUIRED');

const netBiosMode = Type.Optional(oneOf('USE_DHCP', 'ENABLE', 'DISABLE'));

const adapterMapping = closed({
  mac_address: optionalText,
  adapter: closed({
    ipv4: Type.Optional(
      closed({
        type: addressKinds,
        ip_address: optionalText,
        prefix: Type.Optional(Type.Integer({ minimum: 0, maximum: 32 })),
        gateways: addresses,
      }),
    ),
    ipv6: Type.Optional(
      closed({
        type: addressKinds,
        ipv6: Type.Optional(
          Type.Array(closed({ ip_address: text, prefix: Type.Integer({ minimum: 0, maximum: 128 }) }), {
            maxItems: 64,
          }),
        ),
        gateways: addresses,
      }),
    ),
    windows: Type.Optional(
      closed({
        dns_servers: addresses,
        dns_domain: optionalText,
        wins_servers: Type.Optional(Type.Array(text, { maxItems: 2 })),
        net_BIOS_mode: netBiosMode,
        net_bios_mode: netBiosMode,
      }),
    ),
  }),
});

const globalDnsSettings = Type.Optional(closed({ dns_suffix_list: addresses, dns_servers: addresses }));

/** What a guest is told. Members with an acronym have two spellings, since references of different releases do. */
export const guestCustomization = closed({
  configuration_spec: configurationSpec,
  global_DNS_settings: globalDnsSettings,
  global_dns_settings: globalDnsSettings,
  interfaces: Type.Optional(Type.Array(adapterMapping, { maxItems: 32 })),
});

/** A specification that is to be kept by a name. */
export const createSpec = closed({ name, description: text, spec: guestCustomization });

/** A specification in place of the one that is there. */
export const setSpec = closed({
  /** As it was read: what changed since is not written over. */
  fingerprint: optionalText,
  name: Type.Optional(name),
  description: optionalText,
  spec: guestCustomization,
});

export type GuestCustomization = Static<typeof guestCustomization>;
export type HostnameGenerator = Static<typeof hostnameGenerator>;
export type AdapterMapping = Static<typeof adapterMapping>;
export type WindowsSysprep = Static<typeof windowsSysprep>;
export type CreateSpec = Static<typeof createSpec>;
