import { data, type Properties } from '@hypostyle/vim';

const description = (label: string) => data('Description', { label, summary: label });

/** A machine with a disk, a card, a drive and a serial port. The first is on, with tools; the third is on host 2. */
export function machineProperties(
  number: number,
  { name = `machine-${number}` }: { readonly name?: string } = {},
): Partial<Properties<'VirtualMachine'>> {
  const isOn = number === 1;
  const connectable = data('VirtualDeviceConnectInfo', {
    startConnected: true,
    allowGuestControl: true,
    connected: isOn,
  });
  return {
    name,
    parent: { type: 'Folder', value: number === 2 ? 'group-v2' : 'group-v1' },
    resourcePool: { type: 'ResourcePool', value: number === 3 ? 'resgroup-2' : 'resgroup-1' },
    runtime: {
      host: { type: 'HostSystem', value: number === 3 ? 'host-2' : 'host-1' },
      powerState: isOn ? 'poweredOn' : 'poweredOff',
      cleanPowerOff: true,
      connectionState: 'connected',
    } as never,
    summary: { config: { name, numCpu: 2, memorySizeMB: 1_024 } } as never,
    guest: {
      guestState: isOn ? 'running' : 'notRunning',
      toolsRunningStatus: isOn ? 'guestToolsRunning' : 'guestToolsNotRunning',
      toolsVersionStatus2: 'guestToolsUnmanaged',
      toolsInstallType: 'guestToolsTypeOpenVMTools',
      guestId: 'debian12_64Guest',
      guestFamily: 'linuxGuest',
      guestFullName: 'Debian GNU/Linux 12',
      hostName: 'web1',
      ipAddress: '192.0.2.10',
      net: [
        {
          macAddress: '00:50:56:00:00:01',
          deviceConfigId: 4000,
          connected: true,
          ipConfig: { ipAddress: [{ ipAddress: '192.0.2.10', prefixLength: 24, state: 'preferred' }] },
        },
      ],
      disk: [{ diskPath: '/', capacity: 1_000n, freeSpace: 500 }],
    } as never,
    config: {
      name,
      uuid: `4200-${number}`,
      instanceUuid: `5000-${number}`,
      guestId: 'debian12_64Guest',
      version: 'vmx-19',
      template: false,
      firmware: 'efi',
      tools: { toolsVersion: 12_345 },
      bootOptions: { bootDelay: 0, bootRetryDelay: 10_000 },
      hardware: {
        numCPU: 2,
        numCoresPerSocket: 1,
        memoryMB: 1_024,
        device: [
          data('ParaVirtualSCSIController', {
            key: 1000,
            busNumber: 0,
            sharedBus: 'noSharing',
            scsiCtlrUnitNumber: 7,
            deviceInfo: description('SCSI controller 0'),
          }),
          data('VirtualAHCIController', { key: 15000, busNumber: 0, deviceInfo: description('SATA controller 0') }),
          data('VirtualNVMEController', { key: 31000, busNumber: 0, deviceInfo: description('NVME controller 0') }),
          data('VirtualDisk', {
            key: 2000,
            controllerKey: 1000,
            unitNumber: 0,
            capacityInKB: 1_048_576,
            capacityInBytes: 1_073_741_824n,
            deviceInfo: description('Hard disk 1'),
            backing: data('VirtualDiskFlatVer2BackingInfo', {
              fileName: `[datastore1] ${name}/${name}.vmdk`,
              diskMode: 'persistent',
            }),
          }),
          data('VirtualCdrom', {
            key: 16000,
            controllerKey: 15000,
            unitNumber: 0,
            deviceInfo: description('CD/DVD drive 1'),
            backing: data('VirtualCdromIsoBackingInfo', { fileName: '[datastore1] install.iso' }),
            connectable,
          }),
          data('VirtualVmxnet3', {
            key: 4000,
            controllerKey: 100,
            unitNumber: 7,
            addressType: 'assigned',
            macAddress: '00:50:56:00:00:01',
            wakeOnLanEnabled: true,
            deviceInfo: description('Network adapter 1'),
            backing: data('VirtualEthernetCardNetworkBackingInfo', {
              deviceName: 'VM Network',
              network: { type: 'Network', value: 'network-1' },
            }),
            connectable,
          }),
          data('VirtualFloppy', {
            key: 8000,
            deviceInfo: description('Floppy drive 1'),
            backing: data('VirtualFloppyImageBackingInfo', { fileName: '[datastore1] boot.flp' }),
            connectable,
          }),
          data('VirtualSerialPort', {
            key: 9000,
            yieldOnPoll: true,
            deviceInfo: description('Serial port 1'),
            backing: data('VirtualSerialPortFileBackingInfo', { fileName: '[datastore1] serial.log' }),
            connectable,
          }),
          data('VirtualParallelPort', {
            key: 10000,
            deviceInfo: description('Parallel port 1'),
            backing: data('VirtualParallelPortFileBackingInfo', { fileName: '[datastore1] print.out' }),
            connectable,
          }),
        ],
      },
    } as never,
  };
}
