import type { OperatingSystemSection } from '@hypostyle/ovf';

/** CIM_OperatingSystem.OSType to VirtualMachineGuestOsIdentifier. */
const byCimType: Readonly<Record<number, string>> = {
  1: 'otherGuest',
  14: 'dosGuest',
  15: 'win31Guest',
  16: 'win95Guest',
  17: 'win98Guest',
  18: 'winNTGuest',
  21: 'netware6Guest',
  25: 'unixWare7Guest',
  26: 'openServer6Guest',
  29: 'solaris10Guest',
  36: 'otherLinuxGuest',
  42: 'freebsdGuest',
  58: 'win2000ServGuest',
  63: 'winMeGuest',
  67: 'winXPProGuest',
  69: 'winNetStandardGuest',
  70: 'winNetStandard64Guest',
  71: 'winXPPro64Guest',
  73: 'winVistaGuest',
  74: 'winVista64Guest',
  76: 'winLonghornGuest',
  77: 'winLonghorn64Guest',
  78: 'freebsd64Guest',
  79: 'rhel6Guest',
  80: 'rhel6_64Guest',
  81: 'solaris10_64Guest',
  82: 'suseGuest',
  83: 'suse64Guest',
  84: 'slesGuest',
  85: 'sles64Guest',
  86: 'oesGuest',
  87: 'nld9Guest',
  88: 'sjdsGuest',
  89: 'mandrivaGuest',
  90: 'mandriva64Guest',
  91: 'turboLinuxGuest',
  92: 'turboLinux64Guest',
  93: 'ubuntuGuest',
  94: 'ubuntu64Guest',
  95: 'debian6Guest',
  96: 'debian6_64Guest',
  97: 'other24xLinuxGuest',
  98: 'other24xLinux64Guest',
  99: 'other26xLinuxGuest',
  100: 'other26xLinux64Guest',
  101: 'otherLinux64Guest',
  102: 'otherGuest64',
  103: 'windows7Server64Guest',
  105: 'windows7Guest',
  106: 'centosGuest',
  107: 'centos64Guest',
  108: 'oracleLinuxGuest',
  109: 'oracleLinux64Guest',
  112: 'windows8Server64Guest',
  113: 'windows8Guest',
  114: 'windows8_64Guest',
  115: 'windows8Server64Guest',
};

export interface GuestIdentifier {
  readonly guestId: string;
  /** False when nothing fits and `otherGuest` stands in. */
  readonly exact: boolean;
}

/** The guest identifier of a descriptor: VMware's own word for it, else by the CIM number. */
export function guestIdentifier(section: OperatingSystemSection | undefined): GuestIdentifier {
  // Some tools mark a guess with a star.
  const said = section?.vmwareType?.replace(/^\*/, '');
  if (said !== undefined && /^[A-Za-z0-9_]{1,64}$/.test(said)) return { guestId: said, exact: true };
  const mapped = section === undefined ? undefined : byCimType[section.id];
  return mapped === undefined
    ? { guestId: 'otherGuest', exact: section === undefined }
    : { guestId: mapped, exact: true };
}
