using Megaphone.Handover;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>What of a link that is cut is handed over, beside its counters and its ring.</summary>
/// <param name="Number">See <see cref="Link.Number"/>.</param>
/// <param name="IsDraining">See <see cref="Link.Draining"/>.</param>
/// <param name="TellsLogins">See <see cref="Link.TellsLogins"/>.</param>
/// <param name="PeerMaxContent">See <see cref="Link.PeerMaxContent"/>.</param>
/// <param name="PeerName">See <see cref="Link.PeerName"/>.</param>
/// <param name="Terms">How it is resumed.</param>
/// <param name="Received">Bytes of whole packets that have been taken.</param>
/// <param name="Age">See <see cref="Link.Age"/>.</param>
/// <param name="CutFor">See <see cref="Link.CutFor"/>.</param>
internal sealed record LinkImage(
    int Number, bool IsDraining, bool TellsLogins, int PeerMaxContent, string? PeerName, ResumeTerms Terms, long Received, TimeSpan Age,
    TimeSpan CutFor)
{
    /// <summary>Writes it.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(Number);
        writer.Write(IsDraining);
        writer.Write(TellsLogins);
        writer.Write(PeerMaxContent);
        writer.WriteText(PeerName);
        writer.WriteText(Terms.Token);
        writer.Write(Terms.Timeout);
        writer.Write(Terms.PeerWindow);
        writer.Write(Received);
        writer.Write(Age);
        writer.Write(CutFor);
    }

    /// <summary>Reads it.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static LinkImage Restore(StateReader reader)
    {
        int number = reader.ReadNumber(1, int.MaxValue, "a link's number");
        bool isDraining = reader.ReadFlag(), tellsLogins = reader.ReadFlag();
        int peerMaxContent = reader.ReadNumber(0, int.MaxValue - PacketHeader.Size, "what a link's peer accepts");
        string? peerName = reader.ReadText("a link's name");
        string token = reader.ReadName("a link's token");
        TimeSpan timeout = reader.Read<TimeSpan>();
        reader.Check(timeout > TimeSpan.Zero && timeout <= LinkOpening.LongestTimeout, "how long a link waits");
        int window = reader.ReadNumber(1, ResumeTerms.MaxWindow, "a link's window");
        long received = reader.Read<long>();
        TimeSpan age = reader.Read<TimeSpan>(), cutFor = reader.Read<TimeSpan>();
        reader.Check(received >= 0 && age >= TimeSpan.Zero && cutFor >= TimeSpan.Zero, "how far a link has come");
        ResumeTerms terms = new(token, timeout, window);
        return new LinkImage(number, isDraining, tellsLogins, peerMaxContent, peerName, terms, received, age, cutFor);
    }

    /// <summary>Without the token, which is a secret.</summary>
    public override string ToString() => $"link {Number}, {Terms}";
}
