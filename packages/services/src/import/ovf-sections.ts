import { type Content, type Envelope, formatSection, furtherEnvelopeSections, furtherSections } from '@hypostyle/ovf';
import { data, type VAppOvfSectionSpec } from '@hypostyle/vim';

/**
 * Sections of a package that mean nothing here, such as those of a service level: kept with the machine or vApp
 * (VAppOvfSectionInfo), and written back when it is exported. With `envelope` those of the envelope too.
 */
export function keptSections(content: Content, envelope?: Envelope): VAppOvfSectionSpec[] {
  const own = furtherSections(content).map((element) => ({ element, atEnvelopeLevel: false }));
  const outer = envelope === undefined ? [] : furtherEnvelopeSections(envelope);
  const all = [...outer.map((element) => ({ element, atEnvelopeLevel: true })), ...own];
  return all.map(({ element, atEnvelopeLevel }, key) =>
    data('VAppOvfSectionSpec', {
      operation: 'add',
      info: data('VAppOvfSectionInfo', {
        key,
        namespace: element.namespace,
        type: element.type?.name ?? element.name,
        atEnvelopeLevel,
        contents: formatSection(element),
      }),
    }),
  );
}
