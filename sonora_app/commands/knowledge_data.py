"""Documents of the index, and what a search comes upon, as JSON."""

from sonora_app.knowledge.records import Document, Findings


def document_data(document: Document) -> dict[str, object]:
    """A document of the index, as JSON."""
    return {
        "id": str(document.id),
        "title": document.title,
        "source": document.source,
        "user_id": document.user_id,
        "language": document.language,
        "passages": document.passages,
        "created_at": document.created_at.isoformat(),
    }


def findings_data(findings: Findings) -> dict[str, object]:
    """What a search came upon, as JSON."""
    return {
        "question": findings.question,
        "fits": round(findings.fits, 3),
        "took_ms": round(findings.took_ms, 1),
        "given": [str(found.passage.id) for found in findings.given],
        "found": [
            {
                "id": str(found.passage.id),
                "score": round(found.score, 3),
                "document": found.passage.title,
                "source": found.passage.source,
                "headings": list(found.passage.headings),
                "page": found.passage.page,
                "link": found.passage.link,
                "content": found.passage.content,
            }
            for found in findings.found
        ],
    }
