using System.Globalization;

namespace Megaphone.Bench;

/// <summary>The clients' accounts.</summary>
internal sealed record LoginOptions
{
    /// <summary>Stands in a pattern for the client's number.</summary>
    public const string NumberMark = "{0}";

    /// <summary>How they log in.</summary>
    public required LoginMethod Method { get; init; }

    /// <summary>The server's domain.</summary>
    public string Domain { get; init; } = "localhost";

    /// <summary>The pattern of their names.</summary>
    public string User { get; init; } = "user" + NumberMark;

    /// <summary>The pattern of their passwords.</summary>
    public string Password { get; init; } = "pass" + NumberMark;

    /// <summary>The number of the first client. Default 1.</summary>
    public int First { get; init; } = 1;

    /// <summary>Whether they enable stream management (XEP-0198), and acknowledge what they receive.</summary>
    public bool ManagesStream { get; init; }

    /// <summary>Whether they ask for their roster before they send presence (RFC 6121, section 2.2).</summary>
    public bool AsksForRoster { get; init; }

    /// <summary>The name of a client, counted from 1.</summary>
    public string UserOf(int number) => Fill(User, number);

    /// <summary>The password of a client, counted from 1.</summary>
    public string PasswordOf(int number) => Fill(Password, number);

    private string Fill(string pattern, int number) =>
        pattern.Replace(NumberMark, (First - 1 + number).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
