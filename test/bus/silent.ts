/** A log that keeps quiet. */
export const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
