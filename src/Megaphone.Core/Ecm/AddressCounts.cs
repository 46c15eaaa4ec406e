namespace Megaphone.Ecm;

/// <summary>What is known of one address: 12 bytes. Zeros: nobody is there, and its bucket is full.</summary>
internal struct AddressCounts
{
    /// <summary>When its bucket is full again, which is the state of the whole bucket; see <see cref="TokenBucket"/>.</summary>
    public uint FullAt;

    /// <summary>Its connections that are limited by number.</summary>
    public int Connections;

    /// <summary>Its connections that have not logged in.</summary>
    public int NotLoggedIn;

    /// <summary>Whether nobody is there.</summary>
    public readonly bool IsDeserted => (Connections | NotLoggedIn) == 0;
}
