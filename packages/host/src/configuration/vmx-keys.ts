/** Keys that `configurationFromVmx` reads and `writeConfiguration` writes; everything else is extra configuration. */
const scalars = new Set(
  [
    '.encoding',
    'config.version',
    'displayName',
    'uuid.bios',
    'vc.uuid',
    'guestOS',
    'virtualHW.version',
    'annotation',
    'firmware',
    'uefi.secureBoot.enabled',
    'numvcpus',
    'cpuid.coresPerSocket',
    'memSize',
    'vcpu.hotadd',
    'mem.hotadd',
    'nvram',
    'bios.bootOrder',
    'bios.hddOrder',
    'bios.forceSetupOnce',
    'bios.bootDelay',
    'ctkEnabled',
    'template',
    'checkpoint.vmState',
    'cleanShutdown',
    'extendedConfigFile',
    'hypostyle.vApp',
    // What an engine is started with, word for word: no client says it.
    'hypostyle.machineType',
    'hypostyle.cpuModel',
  ].map((key) => key.toLowerCase()),
);

const devices =
  /^(?:(?:ide|scsi|sata|nvme)\d+(?::\d+)?|ethernet\d+|serial\d+|floppy\d+)\.|^sched\.(?:cpu|mem)\.(?:min|max|shares)$|^sched\.(?:ide|scsi|sata|nvme)\d+:\d+\.(?:shares|throughputcap)$/;

export function isKnownKey(key: string): boolean {
  const lower = key.toLowerCase();
  return scalars.has(lower) || devices.test(lower);
}

/** Keys that a client may not set as extra configuration: they have a place of their own in the model. */
export function isReservedExtraKey(key: string): boolean {
  return (
    isKnownKey(key) &&
    !/^ethernet\d+\.(?!present$|virtualdev$|networkname$|connectiontype$|addresstype$|address$|generatedaddress$|startconnected$)/i.test(
      key,
    )
  );
}
