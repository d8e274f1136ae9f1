import type { Method } from '../schema/schema.ts';
import { newestVersion } from './api-version.ts';
import type { ChunkedText } from './chunked-text.ts';
import type { DocumentSteps, XsdDocuments } from './xsd-documents.ts';

const namespaces =
  'xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" ' +
  'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:vim25="urn:vim25"';

/** `vim.wsdl`: messages, port type and binding of every method. */
export function* vimWsdl(documents: XsdDocuments, output: ChunkedText): DocumentSteps {
  const methods = yield* documents.methods(output);
  const faults = new Set(['RuntimeFault']);
  for (const method of methods) for (const name of faultsOf(method, documents)) faults.add(name);
  output.append(`<?xml version="1.0" encoding="UTF-8"?>\n<definitions targetNamespace="urn:vim25" ${namespaces}>\n`);
  output.append(
    '<types><schema targetNamespace="urn:vim25" xmlns="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">\n',
  );
  for (const file of ['core-types', 'query-types', 'vim-types', 'query-messagetypes', 'vim-messagetypes']) {
    output.append(`<include schemaLocation="${file}.xsd"/>\n`);
  }
  for (const name of faults) output.append(`<element name="${name}Fault" type="vim25:${name}"/>\n`);
  for (const method of methods) {
    output.append(`<element name="${method.name}" type="vim25:${method.name}RequestType"/>\n`);
    const answer = `<complexType><sequence>\n${documents.answerText(method)}</sequence></complexType>`;
    output.append(`<element name="${method.name}Response">${answer}</element>\n`);
    if (output.full) yield;
  }
  output.append('</schema></types>\n');
  for (const name of faults) {
    output.append(`<message name="${name}FaultMsg"><part name="fault" element="vim25:${name}Fault"/></message>\n`);
  }
  for (const { name } of methods) {
    output.append(`<message name="${name}RequestMsg"><part name="parameters" element="vim25:${name}"/></message>\n`);
    output.append(
      `<message name="${name}ResponseMsg"><part name="parameters" element="vim25:${name}Response"/></message>\n`,
    );
    if (output.full) yield;
  }
  output.append('<portType name="VimPortType">\n');
  for (const method of methods) {
    output.append(portOperation(method, faultsOf(method, documents)));
    if (output.full) yield;
  }
  output.append('</portType>\n<binding name="VimBinding" type="vim25:VimPortType">\n');
  output.append('<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>\n');
  for (const method of methods) {
    output.append(bindingOperation(method, faultsOf(method, documents)));
    if (output.full) yield;
  }
  output.append('</binding>\n</definitions>\n');
}

/** `vimService.wsdl`: the service at its address. */
export function vimServiceWsdl(address: string): string {
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<definitions targetNamespace="urn:vim25Service" ${namespaces}>\n` +
    '<import location="vim.wsdl" namespace="urn:vim25"/>\n<service name="VimService">\n' +
    `<port binding="vim25:VimBinding" name="VimPort"><soap:address location="${address}"/></port>\n` +
    '</service>\n</definitions>\n'
  );
}

function faultsOf(method: Method, documents: XsdDocuments): string[] {
  const declared = method.faults.filter((name) => name !== 'RuntimeFault' && documents.includes(name));
  return ['RuntimeFault', ...new Set(declared)];
}

function portOperation({ name }: Method, faults: readonly string[]): string {
  const faultTexts = faults.map((fault) => `<fault name="${fault}" message="vim25:${fault}FaultMsg"/>`).join('');
  return (
    `<operation name="${name}"><input message="vim25:${name}RequestMsg"/>` +
    `<output message="vim25:${name}ResponseMsg"/>${faultTexts}</operation>\n`
  );
}

function bindingOperation({ name }: Method, faults: readonly string[]): string {
  const faultTexts = faults.map(
    (fault) => `<fault name="${fault}"><soap:fault name="${fault}" use="literal"/></fault>`,
  );
  return (
    `<operation name="${name}"><soap:operation soapAction="urn:vim25/${newestVersion.name}" style="document"/>` +
    '<input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>' +
    `${faultTexts.join('')}</operation>\n`
  );
}
