using System.Text;

namespace Megaphone.Bench;

/// <summary>One diagram of a <see cref="Picture"/>.</summary>
internal interface IDiagram
{
    /// <summary>Whether there is nothing to show.</summary>
    bool IsEmpty { get; }

    /// <summary>Draws it, of <see cref="Picture.Width"/> and <see cref="Picture.Height"/>.</summary>
    /// <param name="svg">The document.</param>
    /// <param name="offset">Where it begins from the left.</param>
    void Draw(StringBuilder svg, int offset);
}
