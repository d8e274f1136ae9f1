const special = /[&<>"\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\ud800-\udfff]/;
const specials = /[&<>"\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

const replacements: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  // A parser would read a bare carriage return as a line feed.
  '\r': '&#xD;',
};

/**
 * Text as XML carries it, in elements and in attributes between double quotes. What XML cannot carry at all (control
 * characters, lone surrogates) becomes U+FFFD.
 */
export function escapeXml(text: string): string {
  if (!special.test(text)) return text;
  return text.toWellFormed().replace(specials, (character) => replacements[character] ?? '\ufffd');
}
