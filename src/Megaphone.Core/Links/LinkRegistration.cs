using Megaphone.Handover;

namespace Megaphone.Links;

/// <summary>How a listener finds a link that is cut again: by the name of its other end, that one's process, and the number of the link
/// there.</summary>
/// <param name="Name">What the other end calls itself; empty: it has no name.</param>
/// <param name="Instance">Names its process.</param>
/// <param name="Slot">The number of the link there.</param>
/// <param name="IsSuperseded">Whether another process with that name has come since: nobody will ask for it.</param>
internal sealed record LinkRegistration(string Name, string Instance, int Slot, bool IsSuperseded)
{
    /// <summary>Writes it.</summary>
    public void Save(StateWriter writer)
    {
        writer.WriteText(Name);
        writer.WriteText(Instance);
        writer.Write(Slot);
        writer.Write(IsSuperseded);
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static LinkRegistration Restore(StateReader reader) =>
        new(reader.ReadName("a link's name"), reader.ReadName("a link's instance"), reader.Read<int>(), reader.ReadFlag());
}
