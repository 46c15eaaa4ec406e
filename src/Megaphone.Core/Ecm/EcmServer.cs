using Megaphone.Links;

namespace Megaphone.Ecm;

/// <summary>A server, and the links to it that are up. A snapshot: it never changes.</summary>
/// <param name="Name">Who it says that it is.</param>
/// <param name="Links">At least one.</param>
internal sealed record EcmServer(string Name, EcmLink[] Links)
{
    /// <summary>Chooses the link for one more client of this server: the one with the fewest.</summary>
    /// <param name="link">The link.</param>
    /// <param name="isCut">Whether it is chosen from those that are cut, or from those that are up.</param>
    /// <param name="current">The same, as it is now.</param>
    /// <param name="clients">How many clients all links of the server have.</param>
    /// <returns>False when none of its links takes new clients.</returns>
    public bool TryChoose(bool isCut, out EcmLink? link, out Link? current, out int clients)
    {
        link = null;
        current = null;
        clients = 0;
        int fewest = int.MaxValue;
        foreach (EcmLink one in Links)
        {
            int own = one.Clients;
            clients += own;
            if (own >= fewest || one.Usable is not { } up || up.IsCut != isCut) continue;
            (link, current, fewest) = (one, up, own);
        }

        return link is not null;
    }
}
