const integer = /^[+-]?\d+$/;

function integers(minimum: bigint, maximum: bigint): (text: string) => boolean {
  return (text) => {
    if (text.length > 40 || !integer.test(text)) return false;
    const value = BigInt(text.replace(/^\+/, ''));
    return value >= minimum && value <= maximum;
  };
}

/** Characters that a URI reference cannot hold even after those that are not ASCII were escaped, and a lone `%`. */
const notInUri = /[\u0000-\u001f<>"{}|^`\\]|%(?![0-9a-f]{2})/i;
/** What XSD validators let through in practice, since they escape it first. */
const escapable = /[\s<>"{}|^`\\]/g;

/** The simple types of XML Schema that the OVF schemas use: whether a text, its outer white space removed, is of the type. */
export const simpleTypes: Readonly<Record<string, (text: string) => boolean>> = {
  string: () => true,
  boolean: (text) => text === 'true' || text === 'false' || text === '1' || text === '0',
  anyURI: (text) => !notInUri.test(text.replace(escapable, '')),
  long: integers(-(2n ** 63n), 2n ** 63n - 1n),
  int: integers(-(2n ** 31n), 2n ** 31n - 1n),
  unsignedLong: integers(0n, 2n ** 64n - 1n),
  unsignedInt: integers(0n, 2n ** 32n - 1n),
  unsignedShort: integers(0n, 0xffffn),
  /** CIM's arrays of values that are reserved or free for vendors make every unsigned short valid but for some. */
  changeable: (text) => ['0', '1', '2', '3'].includes(text),
  caption: (text) => [...text].length <= 64,
};
