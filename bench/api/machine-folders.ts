import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders made at a time. */
const atOnce = 32;
const diskBytes = 8 * 2 ** 30;

/** Name of a machine, its folder and its files. */
export function machineName(number: number): string {
  return `machine-${String(number).padStart(5, '0')}`;
}

/** Makes folders as ESXi leaves them: `.vmx`, NVRAM, a log, a descriptor, and a flat extent that takes no space. */
export async function makeMachineFolders(datastore: string, count: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) {
      const number = next;
      next += 1;
      await makeFolder(join(datastore, machineName(number)), number);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

async function makeFolder(folder: string, number: number): Promise<void> {
  const name = machineName(number);
  await mkdir(folder);
  await writeFile(join(folder, `${name}.vmx`), vmx(name, number));
  await writeFile(join(folder, `${name}.nvram`), '');
  await writeFile(join(folder, 'vmware.log'), 'vmx| Log for VMware ESX\n');
  await writeFile(join(folder, `${name}.vmdk`), descriptor(name, number));
  const extent = await open(join(folder, `${name}-flat.vmdk`), 'wx');
  try {
    await extent.truncate(diskBytes);
  } finally {
    await extent.close();
  }
}

function vmx(name: string, number: number): string {
  const id = number.toString(16).padStart(8, '0');
  const pairs = (text: string) => (text.match(/../g) ?? []).join(' ');
  const uuid = `${pairs('564d0826c5b1aa07')}-${pairs(`f2e39c41${id}`)}`;
  const instanceUuid = `${pairs('502e9d1144f0a1c3')}-${pairs(`91b25d77${id}`)}`;
  const mac = `00:0c:29:${(id.slice(2).match(/../g) ?? []).join(':')}`;
  const keys: Readonly<Record<string, string>> = {
    '.encoding': 'UTF-8',
    'config.version': '8',
    'virtualHW.version': '19',
    displayName: name,
    annotation: `Web server ${number} of the shop|0AOwner: operations <ops@example.com>`,
    guestOS: 'debian11-64',
    memSize: String(1024 << (number % 4)),
    numvcpus: String(1 + (number % 4)),
    'cpuid.coresPerSocket': '1',
    firmware: number % 2 === 0 ? 'bios' : 'efi',
    nvram: `${name}.nvram`,
    'uuid.bios': uuid,
    'uuid.location': uuid,
    'vc.uuid': instanceUuid,
    'vcpu.hotadd': 'TRUE',
    'mem.hotadd': 'TRUE',
    'pciBridge0.present': 'TRUE',
    'pciBridge4.present': 'TRUE',
    'pciBridge4.virtualDev': 'pcieRootPort',
    'pciBridge4.functions': '8',
    'pciBridge5.present': 'TRUE',
    'pciBridge5.virtualDev': 'pcieRootPort',
    'pciBridge5.functions': '8',
    'vmci0.present': 'TRUE',
    'vmci0.id': String(-1_000_000_000 - number),
    'hpet0.present': 'TRUE',
    'floppy0.present': 'FALSE',
    'svga.present': 'TRUE',
    'svga.vramSize': '16777216',
    'tools.syncTime': 'FALSE',
    'tools.upgrade.policy': 'manual',
    'toolScripts.afterPowerOn': 'TRUE',
    'toolScripts.afterResume': 'TRUE',
    'toolScripts.beforeSuspend': 'TRUE',
    'toolScripts.beforePowerOff': 'TRUE',
    'powerType.powerOff': 'default',
    'powerType.suspend': 'soft',
    'powerType.reset': 'default',
    'sched.cpu.units': 'mhz',
    'sched.cpu.affinity': 'all',
    'sched.cpu.min': '0',
    'sched.cpu.shares': 'normal',
    'sched.mem.min': '0',
    'sched.mem.minSize': '0',
    'sched.mem.shares': 'normal',
    'disk.EnableUUID': 'TRUE',
    'scsi0.present': 'TRUE',
    'scsi0.virtualDev': 'pvscsi',
    'scsi0.pciSlotNumber': '160',
    'scsi0:0.present': 'TRUE',
    'scsi0:0.deviceType': 'scsi-hardDisk',
    'scsi0:0.fileName': `${name}.vmdk`,
    'sched.scsi0:0.shares': 'normal',
    'sched.scsi0:0.throughputCap': 'off',
    'ide0:0.present': 'TRUE',
    'ide0:0.deviceType': 'cdrom-raw',
    'ide0:0.startConnected': 'FALSE',
    'ethernet0.present': 'TRUE',
    'ethernet0.virtualDev': 'vmxnet3',
    'ethernet0.networkName': 'VM Network',
    'ethernet0.addressType': 'generated',
    'ethernet0.generatedAddress': mac,
    'ethernet0.pciSlotNumber': '192',
    'serial0.present': 'TRUE',
    'serial0.fileType': 'file',
    'serial0.fileName': `${name}-console.log`,
    'guestinfo.role': `web ${number % 7}`,
    'migrate.hostLog': `${name}.hlog`,
  };
  return Object.entries(keys)
    .map(([key, value]) => `${key} = "${value}"\n`)
    .join('');
}

function descriptor(name: string, number: number): string {
  const contentId = (0x10_00_00_00 + number).toString(16).padStart(8, '0');
  const tail = (number.toString(16).padStart(8, '0').match(/../g) ?? []).join(' ');
  return `# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=${contentId}
parentCID=ffffffff
createType="vmfs"

# Extent description
RW ${diskBytes / 512} VMFS "${name}-flat.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "1044"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.longContentID = "8c1f2a0e4b7d9135e6a0c3d7${contentId}"
ddb.thinProvisioned = "1"
ddb.toolsInstallType = "4"
ddb.toolsVersion = "11360"
ddb.uuid = "60 00 C2 9e 4a 1b 7d 35-f2 e3 9c 41 ${tail}"
ddb.virtualHWVersion = "19"
`;
}
