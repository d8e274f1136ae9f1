/** Tells by what certificate an extension is known; implemented by ExtensionService. */
export interface ExtensionCertificates {
  /** True when the extension is registered, and this certificate, in DER, is the one set for it. */
  accepts(extensionKey: string, certificate: Uint8Array): boolean;
}
