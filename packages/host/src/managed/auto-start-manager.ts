import { data, type ManagedObjectClass } from '@hypostyle/vim';

/** HostAutoStartManager. Machines are not started with the host yet, and it says so; libvirt fails without it. */
export const autoStartManagerClass: ManagedObjectClass<'HostAutoStartManager'> = {
  type: 'HostAutoStartManager',
  methods: {},
};

export const noAutoStart = data('HostAutoStartManagerConfig', {
  defaults: data('AutoStartDefaults', {
    enabled: false,
    startDelay: 120,
    stopDelay: 120,
    waitForHeartbeat: false,
    stopAction: 'none',
  }),
});
