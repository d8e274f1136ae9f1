import {
  type Envelope,
  formatIssue,
  OvfError,
  type OvfErrorCode,
  type OvfLocation,
  type ValidationReport,
  virtualSystems,
} from '@hypostyle/ovf';
import { fault, type LocalizedMethodFault, localizedFault, type VimFault } from '@hypostyle/vim';

/** What the OVF manager says of a package, by what is wrong. A line of 0 is an unknown one. */
export const ovfFaults = {
  badXml: (lineNumber: number, description: string): VimFault =>
    fault('OvfXmlFormat', { lineNumber, description }, description),
  invalidPackage: (lineNumber: number, message: string): VimFault =>
    fault('OvfInvalidPackage', { lineNumber }, message),
  missingElement: (lineNumber: number, name: string, message: string): VimFault =>
    fault('OvfMissingElement', { lineNumber, name }, message),
  propertyValue: (lineNumber: number, type: string, value: string, message: string): VimFault =>
    fault('OvfPropertyValue', { lineNumber, type, value }, message),
  unsupportedSection: (lineNumber: number, name: string, info: string, message: string): VimFault =>
    fault('OvfUnsupportedSection', { lineNumber, name, info }, message),
  encrypted: (lineNumber: number, files: readonly string[]): VimFault => {
    const named = files.slice(0, 5).join(', ');
    const message = `The package is encrypted (${named}${files.length > 5 ? ' …' : ''}): its content is to be sent in the clear. 'hypo deploy' decrypts it on the way, 'hypo ovf pack --decrypt' makes such a package.`;
    return fault('OvfUnsupportedSection', { lineNumber, name: 'EncryptionSection', info: message }, message);
  },
  unsupportedElement: (lineNumber: number, name: string, message: string): VimFault =>
    fault('OvfUnsupportedElement', { lineNumber, name }, message),
  unsupportedAttribute: (lineNumber: number, elementName: string, attributeName: string, message: string): VimFault =>
    fault('OvfUnsupportedAttribute', { lineNumber, elementName, attributeName }, message),
  unsupportedAttributeValue: (
    members: {
      readonly lineNumber: number;
      readonly elementName: string;
      readonly attributeName: string;
      readonly value: string;
    },
    message: string,
  ): VimFault => fault('OvfUnsupportedAttributeValue', members, message),
  unsupportedDevice: (
    members: { readonly lineNumber: number; readonly instanceId: string; readonly deviceType: number },
    elementName: string,
    deviceSubType: string | undefined,
    message: string,
  ): VimFault =>
    deviceSubType === undefined
      ? fault('OvfUnsupportedType', { ...members, name: elementName }, message)
      : fault('OvfUnsupportedSubType', { ...members, elementName, deviceSubType }, message),
  hardwareFamily: (version: string): VimFault =>
    fault('OvfNoSupportedHardwareFamily', { version }, `The virtual hardware '${version}' is not supported.`),
  diskProvisioning: (diskProvisioning: string, supported: string): VimFault =>
    fault(
      'OvfUnsupportedDiskProvisioning',
      { diskProvisioning, supportedDiskProvisioning: supported },
      `The disk provisioning '${diskProvisioning}' is not supported, only ${supported}.`,
    ),
  mappedGuest: (ovfId: number, ovfDescription: string, targetDescription: string): VimFault =>
    fault(
      'OvfMappedOsId',
      { ovfId, ovfDescription, targetDescription },
      `The operating system ${ovfId} (${ovfDescription}) is taken for '${targetDescription}'.`,
    ),
  noNetwork: (): VimFault => fault('OvfNoHostNic', {}, 'There is no network for the network cards.'),
  invalidName: (name: string): VimFault =>
    fault('OvfInvalidVmName', { name }, `'${name}' cannot name a virtual machine.`),
  remark: (message: string): VimFault => fault('OvfImport', {}, message),
} as const;

export function localizedFaults(found: readonly VimFault[]): readonly LocalizedMethodFault[] | undefined {
  return found.length === 0 ? undefined : found.map(localizedFault);
}

/** An error of the OVF package as the fault that the specification has for it; others are passed on. */
export function ovfFault(error: unknown, envelope?: Envelope): VimFault {
  if (!(error instanceof OvfError)) throw error;
  return faultOf(error.code, error.message, error.location, envelope);
}

/** More than this nobody reads in a result. */
const maxErrors = 100;

/** Every error that a validation found, as faults. */
export function validationFaults({ issues, envelope }: ValidationReport): readonly VimFault[] {
  return issues
    .filter(({ severity }) => severity === 'error')
    .slice(0, maxErrors)
    .map((issue) => faultOf(issue.code, formatIssue(issue), issue.location, envelope));
}

function faultOf(code: OvfErrorCode, message: string, location: OvfLocation, envelope: Envelope | undefined): VimFault {
  const line = location.line ?? 0;
  const section = location.section ?? 'Envelope';
  switch (code) {
    case 'xml-malformed':
    case 'xml-forbidden':
    case 'xml-limit':
    case 'not-an-envelope':
      return ovfFaults.badXml(line, message);
    case 'section-unknown':
      return ovfFaults.unsupportedSection(line, section, message, message);
    case 'hardware-unsupported':
      return unsupportedHardware(line, section, message, envelope);
    case 'property-invalid':
      return ovfFaults.propertyValue(line, '', '', message);
    case 'envelope-invalid':
    case 'hardware-invalid': {
      const missing = /(\w+) is missing|has no (\w+)/.exec(message);
      const name = missing?.[1] ?? missing?.[2];
      if (name !== undefined) return ovfFaults.missingElement(line, name, message);
      return ovfFaults.invalidPackage(line, message);
    }
    default:
      return ovfFaults.invalidPackage(line, message);
  }
}

function unsupportedHardware(line: number, section: string, message: string, envelope: Envelope | undefined): VimFault {
  const items =
    envelope === undefined
      ? []
      : virtualSystems(envelope).flatMap(({ hardware }) => hardware.flatMap((one) => one.items));
  const item = line === 0 ? undefined : items.find((candidate) => candidate.line === line);
  if (item === undefined) return ovfFaults.unsupportedElement(line, section, message);
  return ovfFaults.unsupportedDevice(
    { lineNumber: line, instanceId: item.instanceId, deviceType: item.resourceType },
    item.elementName?.text || item.element,
    item.resourceSubType,
    message,
  );
}
