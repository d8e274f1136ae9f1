import type { CallContext } from '../runtime/call-context.ts';
import type { VimFault } from '../runtime/fault.ts';
import type { SoapEncoder } from './soap-encoder.ts';
import { escapeXml } from './xml-text.ts';

const envelopeHead =
  '<?xml version="1.0" encoding="UTF-8"?>\n' +
  '<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" ' +
  'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ' +
  'xmlns:xsd="http://www.w3.org/2001/XMLSchema" ' +
  'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n';

const bodyStart = '<soapenv:Body>\n';

/** Everything of an envelope before its body's content. */
export const envelopeStart = `${envelopeHead}${bodyStart}`;

/** The same, with the context of a call in its header. */
export function envelopeStartOf({ operationId, activationId, realUser }: CallContext): string {
  const header =
    headerElement('operationID', operationId) +
    headerElement('activationId', activationId) +
    headerElement('realUser', realUser);
  if (header === '') return envelopeStart;
  return `${envelopeHead}<soapenv:Header>${header}</soapenv:Header>\n${bodyStart}`;
}

function headerElement(name: string, text: string | undefined): string {
  return text === undefined ? '' : `<${name} xmlns="urn:vim25">${escapeXml(text)}</${name}>`;
}

export const envelopeEnd = '\n</soapenv:Body>\n</soapenv:Envelope>';

/** A fault as the whole answer; its detail names the type twice, by element and by `xsi:type`. */
export function faultEnvelope(encoder: SoapEncoder, fault: VimFault): string {
  const type = encoder.plans.visibleName(fault.type);
  const detail = encoder.typedElement(`${type}Fault`, 'MethodFault', fault.detail, ' xmlns="urn:vim25"');
  return (
    `${envelopeStart}<soapenv:Fault><faultcode>ServerFaultCode</faultcode>` +
    `<faultstring>${escapeXml(fault.message)}</faultstring>` +
    `<detail>${detail}</detail></soapenv:Fault>${envelopeEnd}`
  );
}
