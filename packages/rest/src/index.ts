export { AutomationFace, type AutomationFaceOptions } from './automation-face.ts';
