namespace Megaphone.Ecm;

/// <summary>The clients of one address at one server that wait for a turn, in order of arrival, and how many have one. In native memory.</summary>
internal unsafe struct AddressQueue
{
    /// <summary>Whose they are: a <see cref="ClientAddress"/>, or the network that it is in.</summary>
    public ulong Address;

    /// <summary>Who waits longest; null: nobody waits.</summary>
    public PacedClient* First;

    /// <summary>Who came last.</summary>
    public PacedClient* Last;

    /// <summary>Which address's turn is next; null: it is not this one's, as nobody waits or enough have one.</summary>
    public AddressQueue* Next;

    /// <summary>Which address's turn is before this one's.</summary>
    public AddressQueue* Previous;

    /// <summary>Turns that it has.</summary>
    public int Turns;
}
