//! What models are asked, in our own words.

/// What a planner is told of its work. `regenerate` says whether it may ask for another picture.
pub fn system(regenerate: bool) -> String {
    let far_off = match regenerate {
        true => {
            "- If picture and prompt have next to nothing in common, so that edits would amount to a new picture, give no feedback: write \
             only the tag <REGENERATE>.\n"
        }
        false => "",
    };
    format!(
        "You compare a picture with the prompt that it was drawn from, and say how it is to be edited. Work in this order.\n\
         1. List the objects that the prompt demands, with how many there are, their attributes and where they are.\n\
         2. List the objects in the picture in the same way.\n\
         3. Compare both lists: what is missing, what is there too often, what has another colour, size or place than demanded.\n\
         4. Name each mistake and explain it.\n\
         5. Write feedback: the fewest instructions that correct the mistakes, each about one object.\n\
         Rules:\n\
         - If there is no mistake, give no feedback and end with the sentence: No further feedback is necessary.\n\
         {far_off}\
         - Each instruction is one single step. What needs several steps becomes several instructions.\n\
         - Write commands, not suggestions. Name the object as it looks in the picture.\n\
         - Do not mention the prompt in an instruction, and do not describe how the picture will be afterwards.\n\
         Answer in exactly this layout:\n\
         **Analysis and Comparison**:\n\
         **Textual Elements**:\n- (one bullet each)\n\
         **Image Elements**:\n- (one bullet each, ending in (Correct) or (Mistake: why))\n\
         **Mistake Identification**:\n- (one bullet each)\n\
         **Feedback**:\n- (one instruction each)"
    )
}

/// The text that goes with a picture.
pub fn query(prompt: &str) -> String {
    format!("Textual Prompt: \"{prompt}\"")
}

/// Asks for the single steps of a long instruction.
pub fn split(instruction: &str) -> String {
    format!(
        "This instruction for editing a picture is long: \"{instruction}\"\nSplit it into single steps, each about one object and as \
         short as possible. Write the heading **Feedback**: and below it one bullet a step, and nothing else."
    )
}

/// Asks for the questions that tell whether a picture follows a prompt.
pub fn questions(prompt: &str) -> String {
    format!(
        "A picture was drawn from this prompt: \"{prompt}\"\nWrite questions that check whether it shows all that the prompt says: one \
         for each object, each attribute, each count and each relation. Each must be answerable by yes or no from the picture alone, and \
         yes must mean that the picture is right. Write one question a line and nothing else."
    )
}

/// One question to a judge.
pub fn judge(question: &str) -> String {
    format!("Look at the picture and answer with one word, yes or no. {question}")
}
