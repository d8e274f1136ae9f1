/**
 * True when a name fits a pattern with `*` (any text) and `?` (one character). Takes time in proportion to the product
 * of both lengths at most.
 */
export function matchesPattern(name: string, pattern: string, caseInsensitive: boolean): boolean {
  const text = [...(caseInsensitive ? name.toLowerCase() : name)];
  const wanted = [...(caseInsensitive ? pattern.toLowerCase() : pattern)];
  let at = 0;
  let expected = 0;
  // Where to go back to: after the last star, and how much it has taken.
  let star = -1;
  let taken = 0;
  while (at < text.length) {
    if (wanted[expected] === '*') {
      star = expected;
      expected += 1;
      taken = at;
    } else if (expected < wanted.length && (wanted[expected] === '?' || wanted[expected] === text[at])) {
      at += 1;
      expected += 1;
    } else if (star >= 0) {
      expected = star + 1;
      taken += 1;
      at = taken;
    } else {
      return false;
    }
  }
  while (wanted[expected] === '*') expected += 1;
  return expected === wanted.length;
}
