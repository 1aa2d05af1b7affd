"""The migrations, and the tables that deployed projects had before them."""

import re
from pathlib import Path

MIGRATIONS_DIR = Path(__file__).resolve().parents[2] / "supabase" / "migrations"


def migrations() -> tuple[Path, ...]:
    """The migrations, in the order they are applied."""
    return tuple(sorted(MIGRATIONS_DIR.glob("*.sql")))


def schema_version() -> int:
    """The version that the last of the migrations to set one sets."""
    scripts = "".join(file.read_text(encoding="utf-8") for file in migrations())
    body = r"function public\.sonora_schema_version\(\)[^$]*\$\$ select (\d+) \$\$"
    return int(re.findall(body, scripts)[-1])


def older_schema(*, user_id: str = "text", foreign_key: bool = True, images: str = "jsonb") -> str:
    """The tables as the text-chat API made them, in SQL.

    Args:
        user_id: The type of `conversations.user_id`: text or uuid, which both occur.
        foreign_key: Whether a message has to belong to a conversation that exists.
        images: The type of `messages.images`.
    """
    references = "references public.conversations (id) on delete cascade" if foreign_key else ""
    return f"""
        create table public.conversations (
            id uuid primary key default gen_random_uuid(),
            user_id {user_id},
            title text,
            metadata jsonb,
            created_at timestamptz not null default now()
        );
        create table public.messages (
            id uuid primary key default gen_random_uuid(),
            conversation_id uuid not null {references},
            role text not null,
            content text,
            images {images},
            created_at timestamptz not null default now(),
            deleted_at timestamptz
        );
    """
