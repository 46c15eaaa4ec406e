namespace Megaphone.Links;

/// <summary>The links that the calling thread has written to and not flushed yet.</summary>
/// <remarks>So everything that a batch of events causes takes one wake-up of a link's sender.</remarks>
internal static class PendingFlushes
{
    [ThreadStatic]
    private static List<Link>? _links;

    /// <summary>Notes that a link is to be flushed by this thread's next <see cref="Flush"/>.</summary>
    public static void Add(Link link)
    {
        List<Link> links = _links ??= [];
        if (links.Count > 0 && (ReferenceEquals(links[^1], link) || links.Contains(link))) return;
        links.Add(link);
    }

    /// <summary>Flushes what this thread has written to.</summary>
    public static void Flush()
    {
        if (_links is not { } links) return;

        // A flush can call OnWritable, which may write and flush on this thread: so each link is removed before it is flushed.
        while (links.Count > 0)
        {
            Link link = links[^1];
            links.RemoveAt(links.Count - 1);
            link.Flush();
        }
    }
}
