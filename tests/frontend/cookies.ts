// Stands in for `next/headers`: the request's cookies, from the environment.

const kept = new Map<string, string>(
  Object.entries(JSON.parse(process.env.TEST_COOKIES ?? "{}") as Record<string, string>),
);

export async function cookies() {
  return {
    getAll: () => [...kept].map(([name, value]) => ({ name, value })),
    set: (name: string, value: string) => void kept.set(name, value),
  };
}
