import { Talk } from "./talk";

/** `/talk` starts a new conversation, `/talk?conversation=<id>` goes on with one. */
export default async function Page({
  searchParams,
}: {
  searchParams: Promise<{ conversation?: string }>;
}) {
  const { conversation } = await searchParams;
  return <Talk conversationId={conversation ?? null} />;
}
