// What scripts/generate.ts uses of two packages that come without types.

declare module 'protocol-buffers-schema' {
  export interface Field {
    name: string;
    type: string;
    map: { from: string; to: string } | null;
    oneof: string | null;
    repeated: boolean;
  }
  export interface Message {
    name: string;
    fields: Field[];
    messages: Message[];
    enums: Enum[];
  }
  export interface Enum {
    name: string;
    values: Record<string, { value: number }>;
  }
  export interface Schema {
    syntax: number;
    imports: string[];
    messages: Message[];
    enums: Enum[];
  }
  export function parse(proto: string): Schema;
}

declare module 'pbf/compile' {
  import type { Schema } from 'protocol-buffers-schema';
  export function compileRaw(schema: Schema): string;
}
