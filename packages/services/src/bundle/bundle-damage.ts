/** A bundle that cannot be taken: `reason` says what is wrong with it. */
export class BundleDamage extends Error {
  override readonly name = 'BundleDamage';
}
