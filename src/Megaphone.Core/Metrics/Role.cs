namespace Megaphone.Metrics;

/// <summary>What this process does with a link: the <c>role</c> label of every metric.</summary>
internal enum Role
{
    /// <summary>Holds clients and opens sessions.</summary>
    Ecm,

    /// <summary>Gives each session a backend connection of its own.</summary>
    Hub,
}
