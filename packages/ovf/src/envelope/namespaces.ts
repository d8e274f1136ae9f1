/** DSP8023 1.x; inside this package it stands for the envelope namespace of every version. */
export const envelopeNamespace = 'http://schemas.dmtf.org/ovf/envelope/1';
export const envelope2Namespace = 'http://schemas.dmtf.org/ovf/envelope/2';
/** The draft that VMware's first tools wrote (OVF 0.9). */
export const envelope09Namespace = 'http://www.vmware.com/schema/ovf/1/envelope';
export const environmentNamespace = 'http://schemas.dmtf.org/ovf/environment/1';
export const vmwareEnvironmentNamespace = 'http://www.vmware.com/schema/ovfenv';
export const vmwareNamespace = 'http://www.vmware.com/schema/ovf';
export const rasdNamespace = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData';
export const vssdNamespace = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData';
export const sasdNamespace = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_StorageAllocationSettingData';
export const epasdNamespace = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_EthernetPortAllocationSettingData';
export const xsiNamespace = 'http://www.w3.org/2001/XMLSchema-instance';
export const xmlNamespace = 'http://www.w3.org/XML/1998/namespace';
export const bootConfigNamespace = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_BootConfigSetting';
export const bootSourceNamespace = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_BootSourceSetting';
